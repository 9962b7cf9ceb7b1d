# shellcheck shell=bash
# Lists and answers that say 'good' of a revoked certificate, with the right names, under a key that nobody vouches for.
. "$SUITE_DIR/lib.sh"

issuer=$(issuer_file stolen.pem)
key forged-ca.key
openssl req -x509 -new -key forged-ca.key -subj "$(subject_of "$issuer")" -days 10 -out forged-ca.pem
lists stolen.pem genuine

# An empty list of the forged CA, with the extensions of the genuine one.
cat >forged.conf <<'CONF'
[ca]
default_ca = forged
[forged]
database = forged.index
crlnumber = forged.number
default_md = sha256
default_crl_days = 1
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid
CONF
: >forged.index
echo FF >forged.number
openssl crl -in genuine/base-1.pem -noout -text >genuine.txt
if grep -q 'Issuing Distribution Point' genuine.txt; then
    printf 'issuingDistributionPoint = critical, @scope\n[scope]\nfullname = URI:%s\n' "$(crl_url stolen.pem)" \
        >>forged.conf
fi
openssl ca -gencrl -config forged.conf -keyfile forged-ca.key -cert forged-ca.pem -out forged.pem 2>forged.txt
openssl crl -in forged.pem -outform DER -out forged.list

# The clients that are handed lists are handed this one, in place of what 'lists' fetches.
forged_lists() {
    rm -rf lists
    mkdir lists
    cp "$WORK/forged.list" lists/base-1.crl
    cp "$WORK/forged.pem" lists/base-1.pem
    crl_url "$1" >lists/base-1.url
}

believed() {
    local client
    if [[ $2 == forged ]]; then lists() { forged_lists "$1"; }; fi
    mkdir "$2"
    for client in openssl_lists gnutls_lists nss_imported bouncycastle python_lists pyhanko_lists pkijs_lists; do
        mkdir "$2/$client"
        one "$2" "$client" "$PWD/$1"
        # One that believes is enough.
        if [[ $(<"$2/$client.verdict") == good ]]; then echo "$client believes" >&2; return 0; fi
    done
    return 1
}

# The same lists, genuine, are believed for another certificate: it is not the clients that are broken.
refused_forged() {
    equal "$(cat forged/*.verdict | sort -u)" 'no verdict'
    believed device.pem genuine-again
}

must_fail 24 refused_forged believed stolen.pem forged

# The reason, keyCompromise (1), made superseded (4).
tampered() {
    openssl ocsp -CAfile "$CHAIN" -issuer "$issuer" -cert stolen.pem -url "$(ocsp_url stolen.pem)" -no_nonce \
        -respout told.ocsp >told.txt 2>&1
    "$VENV/bin/python" -c 'import sys
told = open("told.ocsp", "rb").read()
sys.stdout.buffer.write(told.replace(b"\xa0\x03\x0a\x01\x01", b"\xa0\x03\x0a\x01\x04"))' >tampered.der
    fails cmp told.ocsp tampered.der
    "$VENV/bin/python" "$SUITE_DIR/status.py" several "$issuer" stolen.pem <tampered.der >tampered.txt 2>&1
}

no_signature() {
    has tampered.txt InvalidSignature
    text tampered.openssl openssl ocsp -CAfile "$CHAIN" -issuer "$issuer" -cert stolen.pem -no_nonce \
        -respin tampered.der
    has tampered.openssl 'Response Verify Failure'
    "$VENV/bin/python" "$SUITE_DIR/status.py" several "$issuer" stolen.pem <told.ocsp >told.said
    has told.said '^revoked keyCompromise'
}

must_fail 25 no_signature tampered
