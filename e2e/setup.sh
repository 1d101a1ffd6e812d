#!/usr/bin/env bash
# Installs what the end-to-end test runs against: NSD, Unbound, Postfix and postgrey with apt, and Exim, OpenSMTPD and
# sendmail unpacked into e2e/.work, since Debian lets only one mail server be installed at a time. Starts nothing.
# Run it as root, as often as you like: it leaves alone what is there already.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive

missing=
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || missing="Debian's package tools"
[ "$(id -u)" = 0 ] || missing="${missing:+$missing, }root"
[ -z "$missing" ] || { echo "setup.sh: cannot go on without: $missing" >&2; exit 1; }

say() { echo "setup.sh: $*"; }

install="nsd unbound postfix postgrey openssl m4 util-linux adduser iproute2 iptables dnsmasq-base microsocks"
unpack="exim4-daemon-light opensmtpd sendmail-bin sendmail-cf dante-server systemd-resolved"
users="Debian-exim opensmtpd opensmtpq smmta smmsp systemd-resolve"
work=$PWD/.work
mkdir -p "$work"

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

updated=
update() {
  [ -z "$updated" ] || return 0
  updated=yes
  say "apt-get update, so that the versions asked for are those Debian has"
  apt-get update -q
}

# Debian starts a service as soon as it is installed, unless policy-rc.d says no.
policy=/usr/sbin/policy-rc.d
ours=
apt_install() {
  update
  if [ ! -e $policy ]; then
    say "$policy keeps services from starting while this runs"
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    ours=yes
  fi
  apt-get install -qy --no-install-recommends --no-upgrade "$@"
}
trap '[ -z "$ours" ] || rm -f $policy' EXIT

wanted=()
for package in $install; do installed "$package" || wanted+=("$package"); done
if [ ${#wanted[@]} -gt 0 ]; then
  say "installing ${wanted[*]}"
  apt_install "${wanted[@]}"
fi

for package in $unpack; do
  [ ! -e "$work/$package/.complete" ] || continue
  update
  say "unpacking $package into e2e/.work/$package"
  rm -rf "${work:?}/$package"
  mkdir -p "$work/$package"
  # apt fetches as a user of its own, who may not be able to write below this directory.
  (cd "$work/$package" && apt-get -o APT::Sandbox::User=root download -q "$package")
  libraries=()
  depends=$(dpkg-deb -f "$work/$package/"*.deb Depends | tr ',' '\n' | sed 's/[|(].*//; s/ //g; s/:.*//')
  for name in $(grep '^lib' <<<"$depends" || true); do
    installed "$name" || libraries+=("$name")
  done
  if [ ${#libraries[@]} -gt 0 ]; then
    say "installing the libraries of $package: ${libraries[*]}"
    apt_install "${libraries[@]}"
  fi
  dpkg-deb -x "$work/$package/"*.deb "$work/$package"
  touch "$work/$package/.complete"
done

for user in $users; do
  id "$user" >/dev/null 2>&1 && continue
  say "adding the system user $user"
  adduser --system --group --quiet --allow-bad-names --no-create-home --home /nonexistent "$user"
done

# OpenSMTPD's chroot and spool are fixed when it is built.
mkdir -p /var/lib/opensmtpd/empty
chmod 755 /var/lib/opensmtpd /var/lib/opensmtpd/empty

say "ready"
