#!/bin/sh
# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# New rules on trial: a dead man's switch puts back what was there before, unless somebody confirms them.
#
#   trial.sh begin SECONDS FAMILIES   arm the switch, then load new.nft; FAMILIES is "ipv4" or "ipv4 ipv6"
#   trial.sh confirm FILE             keep the rules, as FILE; says "confirmed", or "restored" when it is too late
#   trial.sh restore                  what the switch does
#
# Whoever makes the directory "decided" first has decided.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$(dirname "$0")"
removal="add table inet meshsmith; delete table inet meshsmith"
switch=envoy-mesh-rules-restore

# The address that Envoy has when it hands an IPv6 connection to an application: is it there, set it, remove it.
address() {
  case $1 in
    show) ip -6 -oneline address show dev lo to ::6/128 2>/dev/null ;;
    set) ip -6 address replace ::6/128 dev lo ;;
    remove) if [ -n "$(address show)" ]; then ip -6 address delete ::6/128 dev lo; fi ;;
  esac
}

load() {
  case $1 in
    *ipv6) address set ;;
    *) address remove ;;
  esac && nft --file new.nft
}

begin() {
  {
    echo "$removal"
    nft --stateless --numeric list table inet meshsmith 2>/dev/null || true
  } >former.nft
  if [ -n "$(address show)" ]; then echo set; else echo remove; fi >former-address
  systemd-run --quiet --collect --unit="$switch" --on-active="$1" --timer-property=AccuracySec=100ms \
    --description="Restore the rules before those that nobody confirmed" /bin/sh "$PWD/trial.sh" restore
  if ! load "$2"; then
    systemctl stop "$switch.timer"
    restore
    exit 1
  fi
}

confirm() {
  if mkdir decided 2>/dev/null; then
    systemctl stop "$switch.timer"
    install -m 0644 new.nft "$1"
    echo confirmed
  else
    until [ -e restored ]; do sleep 0.1; done
    echo restored
  fi
}

restore() {
  mkdir decided 2>/dev/null || exit 0
  # No rules are better than some that lock everybody out.
  nft --file former.nft || nft "$removal"
  address "$(cat former-address)" || true
  : >restored
}

"$@"
