# shellcheck shell=bash
# A certificate asks for its successor, with a new key.
. "$SUITE_DIR/lib.sh"

# renewed NAME OUT VERSION
renewed() {
    est renew "$3" "$2" --cert "$1.pem" --certkey "$1.key"
    of_key "$2.pem" "$2.key"
    successor "$2.pem" "$1.pem"
}

claim 11 renewed token-old next-old 1.2
claim 12 renewed token next 1.3
