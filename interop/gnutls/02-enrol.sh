# shellcheck shell=bash
# First certificates.
. "$SUITE_DIR/lib.sh"

# by_token SERIAL OUT VERSION
by_token() {
    device "$1" >"$2.id"
    tool_request "$2" "dn = \"serialNumber=$1\""
    post "$2" "$3" simpleenroll "$2.csr" "$(basic "$(<"$2.id")" "$(token "$(<"$2.id")")")"
    got "$2"
    owned "$2.pem" "$(<"$2.id")"
}

# by_birth SERIAL OUT VERSION
by_birth() {
    born "$1" "birth-$2"
    tool_request "$2" "dn = \"serialNumber=$1\""
    post "$2" "$3" ldev/simpleenroll "$2.csr" '' --x509certfile "birth-$2.pem" --x509keyfile "birth-$2.key"
    has "$2.txt" '^- Successfully sent 1 certificate'
    got "$2"
    owned "$2.pem" "$(<"birth-$2.id")"
}

verified() {
    local name
    for name in token birth; do
        cat "$name.pem" "$VITAE_DIR/ca/operational.pem" >"$name.chain"
        certtool --verify --load-ca-certificate "$ROOT" --infile "$name.chain" --verify-profile medium \
            --verify-purpose 1.3.6.1.5.5.7.3.2 >"$name.verify"
        has "$name.verify" '^Chain verification output: Verified\. The certificate is trusted\.'
    done
}

# status OUT CERTIFICATE: what its OCSP responder says, which must verify.
status() {
    ocsptool --ask="$(ocsp_url "$2")" --load-cert "$2" --load-issuer "$VITAE_DIR/ca/operational.pem" \
        --load-trust "$CHAIN" >"$1" 2>&1
    has "$1" '^Verifying OCSP Response: Success\.'
}

good() {
    status good.txt token.pem
    has good.txt 'Certificate Status: good$'
    http list "$(crl_url token.pem)"
    certtool --crl-info --inder --infile list.body --outfile list.pem
    certtool --verify-crl --load-ca-certificate "$VITAE_DIR/ca/operational.pem" --infile list.pem >list.txt
    has list.txt 'Verified\. The certificate is trusted\.'
}

spent_token() {
    device BR500005 >spent.id
    token "$(<spent.id)" >spent.token
    tool_request spent 'dn = "serialNumber=BR500005"'
    post spent 1.3 simpleenroll spent.csr "$(basic "$(<spent.id)" "$(<spent.token)")"
    got spent
    post again 1.3 simpleenroll spent.csr "$(basic "$(<spent.id)" "$(<spent.token)")"
    refused again 401 'token was used'
}

claim 3 by_token BR500001 token-old 1.2
claim 4 by_token BR500002 token 1.3
claim 5 by_birth BR500003 birth-old 1.2
claim 6 by_birth BR500004 birth 1.3
claim 7 verified
claim 8 good
claim 9 spent_token
