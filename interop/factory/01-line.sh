# shellcheck shell=bash
# A line gets its certificate, and keeps it.
. "$SUITE_DIR/lib.sh"

line() {
    machine ra line-7 ra
    openssl x509 -in line-7.pem -noout -ext extendedKeyUsage >line-7.txt
    has line-7.txt 'TLS Web Client Authentication'
    openssl asn1parse -in line-7.pem >line-7.asn1
    # OpenSSL of 2022 shows the number, a later one the name.
    has line-7.txt '1\.3\.6\.1\.5\.5\.7\.3\.28|CMC Registration Authority|cmcRA'
    text line-7.end openssl x509 -in line-7.pem -noout -checkend 86400
    has line-7.end 'will expire'
    text line-7.verify openssl verify -CAfile "$CHAIN" -x509_strict line-7.pem
    has line-7.verify ': OK$'
}

unlisted() {
    machine ra unlisted ra
    unit BR770020
    belt unlisted BR770020
    refused BR770020 403 'ra\.unlisted has no entry'
}

renewed() {
    csr_like line-7.pem line-7.key next.csr
    est_post next ra/simplereenroll next.csr --cert line-7.pem --key line-7.key
    issued next line-7.key
    differ "$(serial_of next.pem)" "$(serial_of line-7.pem)"
    cp next.pem line-7.pem
}

claim 1 line
claim 2 unlisted
claim 3 renewed
