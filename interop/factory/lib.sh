# shellcheck shell=bash
# What the steps of this suite share.
. "$SUITE_DIR/../lib.sh"

# machine KIND NAME LABEL: registers an identity and enrols it, in NAME.id, NAME.key and NAME.pem.
machine() {
    vitae identity register "$2" --kind "$1" --owner 'line manager' --purpose 'births of pumps' >"$2.id"
    key "$2.key"
    csr "$2.key" "$2.csr"
    est_post "$2" "$3/simpleenroll" "$2.csr" -u "$(<"$2.id"):$(token "$(<"$2.id")" "$3")"
    issued "$2" "$2.key"
}

# unit SERIAL [STAGE]: a registered device with a key and a request that bears its serial number.
unit() {
    device "$1" "${2:-manufacturing}" >"$1.id"
    key "$1.key"
    csr "$1.key" "$1.csr" -subj "/serialNumber=$1"
    base64 -w 0 "$1.csr" >"$1.request"
}

# belt NAME SERIAL...: sends the requests of all with the certificate NAME, by one curl, and leaves SERIAL.status and
# SERIAL.body of each, and in belt.connects how many connections that took.
belt() {
    local name=$1 serial status connects
    shift
    : >belt.config
    for serial in "$@"; do
        [[ ! -s belt.config ]] || echo next >>belt.config
        cat >>belt.config <<CONFIG
url = "$EST/idev/simpleenroll"
cacert = "$CHAIN"
cert = "$name.pem"
key = "$name.key"
header = "Content-Type: application/pkcs10"
data-binary = "@$serial.request"
output = "$serial.body"
write-out = "%{http_code} %{num_connects}\n"
CONFIG
        : >"$serial.head"
        : >"$serial.body"
    done
    curl --silent --show-error --max-time 60 --config belt.config >belt.out
    equal "$(wc -l <belt.out)" "$#"
    echo 0 >belt.connects
    for serial in "$@"; do
        read -r status connects
        printf '%s' "$status" >"$serial.status"
        echo $(($(<belt.connects) + connects)) >belt.connects
    done <belt.out
}

# born SERIAL: it was given a birth certificate, its own.
born() {
    issued "$1" "$1.key"
    openssl x509 -in "$1.pem" -noout -subject -nameopt RFC2253,esc_msb >"$1.txt"
    has "$1.txt" "^subject=CN=P3-$1,O=brannoc,serialNumber=$1\$"
}
