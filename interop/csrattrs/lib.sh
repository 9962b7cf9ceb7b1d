# shellcheck shell=bash
# What the steps of this suite share.
. "$SUITE_DIR/../lib.sh"

# wishes LABEL: the answer in LABEL.der, and as 'openssl asn1parse' shows it in LABEL.txt.
wishes() {
    est_get "$1" "$1/csrattrs"
    status_is "$1" 200
    base64 -d "$1.body" >"$1.der"
    openssl asn1parse -inform DER -in "$1.der" >"$1.txt"
}

# extension LABEL NAME: its value in hex, from the first place that has it.
extension() {
    awk -v name=":$2" '
        index($0, name) { found = 1; next }
        found && /HEX DUMP/ { sub(/.*HEX DUMP\]:/, ""); print; exit }
    ' "$1.txt"
}

# enrol_by_list SERIAL CURVE: a request in the words of the answer in ldev.txt, but with a key on this curve.
enrol_by_list() {
    local serial=$1 curve=$2 subject=
    grep -q ':serialNumber$' ldev.txt && subject+="/serialNumber=$serial"
    grep -q ':commonName$' ldev.txt && subject+="/CN=$serial"
    openssl ecparam -name "$curve" -genkey -noout -out obeying.key
    csr obeying.key obeying.csr -subj "$subject" \
        -addext "keyUsage=DER:$(extension ldev 'X509v3 Key Usage')" \
        -addext "extendedKeyUsage=DER:$(extension ldev 'X509v3 Extended Key Usage')"
    device "$serial" >obeying.id
    est_post obeying ldev/simpleenroll obeying.csr -u "$(<obeying.id):$(token "$(<obeying.id)")"
    issued obeying obeying.key
}
