#!/bin/sh
# Make the certificate of $NAME and the list of users. What is there and still good is kept.
# /private is for nginx alone. /certs/ca.pem is for clients: whoever trusts it, trusts this registry.
set -eu
umask 077
cd /private

is_good() {
    [ -s server.key ] &&
        openssl verify -CAfile /certs/ca.pem -verify_hostname "$NAME" server.pem &&
        openssl x509 -in server.pem -noout -checkend 2592000 # a month, in seconds
}

make_certificate() {
    work=$(mktemp -d)
    cat >"$work/openssl.cnf" <<EOF
[req]
distinguished_name = name
prompt = no
[name]
CN = $NAME
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:$NAME
authorityKeyIdentifier = keyid
EOF
    for owner in ca server; do
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$owner.key"
    done
    openssl req -config "$work/openssl.cnf" -x509 -extensions authority -days 730 -subj "/CN=CA of $NAME" \
        -key "$work/ca.key" -out "$work/ca.pem"
    openssl req -config "$work/openssl.cnf" -new -key "$work/server.key" -out "$work/server.csr"
    openssl x509 -req -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
        -extfile "$work/openssl.cnf" -extensions server -days 730 -out "$work/server.pem"
    mv "$work/server.key" "$work/server.pem" .
    install -m 644 "$work/ca.pem" /certs/ca.pem
    rm -rf "$work" # with the key of the authority: it signs nothing else
}

if is_good >/dev/null 2>&1; then
    echo "the certificate of $NAME is there"
else
    make_certificate
    echo "made a certificate of $NAME"
fi

# nginx reads the list as www-data.
printf '%s:%s\n' "$NAME_OF_USER" "$(openssl passwd -6 -stdin </run/secrets/password)" >users.new
chown www-data users.new
mv users.new users
