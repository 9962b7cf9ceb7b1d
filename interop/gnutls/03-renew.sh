# shellcheck shell=bash
# A certificate asks for its successor, with a new key.
. "$SUITE_DIR/lib.sh"

# renewed NAME OUT VERSION
renewed() {
    request_like "$2" "$1.pem"
    post "$2" "$3" simplereenroll "$2.csr" '' --x509certfile "$1.pem" --x509keyfile "$1.key"
    got "$2"
    successor "$2.pem" "$1.pem"
}

claim 10 renewed token-old next-old 1.2
claim 11 renewed token next 1.3
