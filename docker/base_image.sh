#!/usr/bin/env bash
# Makes, without a registry, a stand-in for the image python:3.11-slim-bookworm: base_image.sh DIR import
#
# Debian 12's own Python is 3.11. The file DIR/base.tar is made once; package sources, certificates
# and pip's settings are this machine's. For docker/test.sh on this machine; never push it anywhere.
set -euo pipefail
mkdir -p "$1"
tar=$(cd "$1" && pwd)/base.tar
hook=$(mktemp)
trap 'rm -f "$hook"' EXIT
cat >"$hook" <<'HOOK'
#!/bin/sh
set -eu
root=$1
mkdir -p "$root/usr/local/share/ca-certificates"
cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
chroot "$root" update-ca-certificates >/dev/null
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*
cp /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
    "$root/etc/apt/sources.list.d/" 2>/dev/null || true
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
# like the real one: python, python3 and pip under /usr/local/bin
chroot "$root" python3 -m venv --without-pip /usr/local
chroot "$root" /usr/local/bin/python3 -m ensurepip --upgrade >/dev/null
ln -sf pip3 "$root/usr/local/bin/pip"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
HOOK
chmod 755 "$hook"
if [[ ! -s $tar ]]; then
    sources=$(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
    # shellcheck disable=SC2086
    mmdebstrap --quiet --format=tar --variant=minbase --include=ca-certificates,python3,python3-venv \
        --customize-hook="$hook" bookworm "$tar.part" $sources
    mv "$tar.part" "$tar"
fi
if [[ ${2:-} == import ]]; then
    name=localhost/python:3.11-slim-bookworm
    /usr/bin/docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
        --change 'CMD ["python3"]' "$tar" "$name"
fi
