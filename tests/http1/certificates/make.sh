#!/bin/sh
# Makes the certificates beside it anew: an authority of the tests' own, and what it has signed. Needs OpenSSL 3.
# None of them is worth anything: whoever reads this has their keys.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

key "$work/authority.key"
openssl req -x509 -new -key "$work/authority.key" -subj "/CN=Tests' authority" -days 36500 -out authority.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign

# signed NAME HOSTS FROM TO, times as in 20200101000000Z
signed() {
    key "$work/$1.key"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    touch "$work/index.txt"
    openssl rand -hex 8 > "$work/serial"
    printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index.txt\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
        "$work" "$work" "$work" > "$work/ca.conf"
    printf 'subjectAltName=%s\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' "$2" > "$work/extensions"
    openssl ca -batch -notext -config "$work/ca.conf" -cert authority.pem -keyfile "$work/authority.key" -in "$work/$1.csr" \
        -extfile "$work/extensions" -startdate "$3" -enddate "$4" -out "$work/$1.crt"
    cat "$work/$1.key" "$work/$1.crt" > "$1.pem"
}

signed here DNS:localhost,DNS:provider.test,DNS:proxy.test,IP:127.0.0.1,IP:::1 20200101000000Z 21200101000000Z
signed elsewhere DNS:elsewhere.test 20200101000000Z 21200101000000Z
signed expired DNS:localhost,IP:127.0.0.1 20200101000000Z 20210101000000Z
