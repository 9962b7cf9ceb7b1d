# shellcheck shell=bash
# A server whose label ldev makes keys, and what it takes to ask it. The first step makes its folder, each step starts
# it and stops it when it ends.
SHARED_EST=https://$EST_ADDRESS/.well-known/est
SHARED_CHAIN=$VITAE_DIR/ca/chain.pem

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        [[ " $* " == *" $port "* ]] && continue
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

start() {
    local est status admin listener name address tries
    est=$(free_port)
    status=$(free_port "$est")
    admin=$(free_port "$est" "$status")
    if [[ ! -d own-config ]]; then
        cp -R "$VITAE_CONFIG" own-config
        sed -i 's/^channel-binding/server-key = "p256"\nchannel-binding/' own-config/profiles/ldev.toml
    fi
    for listener in "est=$est" "status=$status" "admin=$admin"; do
        name=${listener%=*} address=127.0.0.1:${listener#*=}
        sed -i "s|^$name = \".*\"|$name = \"$address\"|" own-config/vitae.toml
    done
    VITAE_DIR=$PWD/own-data VITAE_CONFIG=$PWD/own-config
    EST_ADDRESS=127.0.0.1:$est STATUS_ADDRESS=127.0.0.1:$status
    if [[ ! -d $VITAE_DIR ]]; then
        "$VITAE" init >own-init.log
    fi
    "$VITAE" serve >>own-serve.log 2>&1 &
    server=$!
    trap 'kill "$server"; wait "$server"' EXIT
    for ((tries = 0; ; tries++)); do
        [[ $(curl --silent --max-time 2 --output ready.txt --write-out '%{http_code}' "http://$STATUS_ADDRESS/ready") == 200 ]] && break
        if ((tries == 300)) || ! kill -0 "$server"; then
            cat own-serve.log
            return 1
        fi
        sleep 0.1
    done
}

start
. "$SUITE_DIR/../lib.sh"

# part OUT NUMBER TYPE: the DER in a part of the answer, to OUT.NUMBER. It has this type and its two headers.
part() {
    local boundary
    boundary=$(header "$1" Content-Type | sed -n 's/^multipart\/mixed; boundary=//p')
    differ "$boundary" ''
    tr -d '\r' <"$1.body" | awk -v boundary="--$boundary" -v wanted="$2" '
        index($0, boundary) == 1 { n++; next }
        n == wanted
    ' >"$1.part"
    equal "$(sed -n 1p "$1.part")" "Content-Type: $3"
    equal "$(sed -n 2p "$1.part")" 'Content-Transfer-Encoding: base64'
    equal "$(sed -n 3p "$1.part")" ''
    tail -n +4 "$1.part" | base64 -d >"$1.$2"
}

# certified OUT: the certificate of the answer, to OUT.pem.
certified() {
    part "$1" 2 'application/pkcs7-mime; smime-type=certs-only'
    openssl pkcs7 -inform DER -in "$1.2" -print_certs -out "$1.pem"
    equal "$(count "$1.pem")" 1
}

# pair OUT: OUT.made (DER) is a sound key, and that of OUT.pem. Leaves it as OUT.key, too.
pair() {
    openssl pkey -inform DER -in "$1.made" -check -out "$1.key"
    equal "$(openssl pkey -in "$1.key" -pubout)" "$(openssl x509 -in "$1.pem" -noout -pubkey)"
}

# wanting OUT.DER OID ID-IN-HEX: a request for a key encrypted for whom the identifier names. No key, no signature.
wanting() {
    cat >"$1.conf" <<REQUEST
asn1 = SEQUENCE:request
[request]
info = SEQUENCE:info
algorithm = SEQUENCE:algorithm
signature = FORMAT:HEX,BITSTRING:00
[info]
version = INTEGER:0
subject = SEQUENCE:empty
key = SEQUENCE:empty
attributes = IMPLICIT:0,SET:attributes
[empty]
[algorithm]
kind = OID:ecdsa-with-SHA256
[attributes]
id = SEQUENCE:id
capabilities = SEQUENCE:capabilities
[id]
kind = OID:$2
values = SET:ids
[ids]
value = FORMAT:HEX,OCTETSTRING:$3
[capabilities]
kind = OID:1.2.840.113549.1.9.15
values = SET:lists
[lists]
value = SEQUENCE:list
[list]
wrap = SEQUENCE:wrap
cipher = SEQUENCE:cipher
[wrap]
kind = OID:2.16.840.1.101.3.4.1.45
[cipher]
kind = OID:2.16.840.1.101.3.4.1.42
REQUEST
    openssl asn1parse -genconf "$1.conf" -noout -out "$1"
}

DECRYPT_KEY=1.2.840.113549.1.9.16.2.37
ASYMMETRIC_DECRYPT_KEY=1.2.840.113549.1.9.16.2.54

# opened OUT CMS-ARGUMENTS...: opens the envelope of the answer, verifies who signed the key, and leaves it in OUT.made.
opened() {
    local out=$1 length
    shift
    part "$out" 1 'application/pkcs7-mime; smime-type=server-generated-key'
    openssl cms -decrypt -inform DER -in "$out.1" -binary -out "$out.signed" "$@"
    # The tool reads SignedData only with its type in front.
    length=$(stat -c %s "$out.signed")
    wrap_signed "$length" <"$out.signed" >"$out.cms"
    openssl cms -verify -inform DER -in "$out.cms" -CAfile "$CHAIN" -purpose any -binary -out "$out.package"
    # AsymmetricKeyPackage: the key stands in a SEQUENCE of its own.
    openssl asn1parse -inform DER -in "$out.package" -strparse "$(header_length "$out.package")" -noout -out "$out.made"
    certified "$out"
    pair "$out"
}

# The octets of tag and length in front of the content.
header_length() {
    openssl asn1parse -inform DER -in "$1" | sed -n '1s/.*hl= *\([0-9]*\).*/\1/p'
}

# der_length N: DER of a length, in hex.
der_length() {
    if (($1 < 128)); then printf %02x "$1"
    elif (($1 < 256)); then printf '81%02x' "$1"
    else printf '82%04x' "$1"; fi
}

# wrap_signed LENGTH: a ContentInfo around the SignedData on the input.
wrap_signed() {
    local type=06092a864886f70d010702 content
    content=a0$(der_length "$1")
    printf '30%s%s%s' "$(der_length $(($1 + (${#type} + ${#content}) / 2)))" "$type" "$content" | unhex
    cat
}

unhex() {
    local hex
    read -r hex || true
    printf "$(sed 's/../\\x&/g' <<<"$hex")"
}
