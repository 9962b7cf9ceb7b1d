# shellcheck shell=bash
# Small clients read HTTP less generously than the standards ask of them: what counts is the bytes.
. "$SUITE_DIR/lib.sh"

request cacerts.request GET cacerts 'Connection: close'
exchange cacerts cacerts.request

head_of_answer() {
    status_is cacerts 200
    has cacerts.head $'^Content-Type: application/pkcs7-mime'
    has cacerts.head $'^Content-Length: [0-9]+\r$'
    lacks cacerts.head '^[Tt]ransfer-[Ee]ncoding:'
    # Every name, not only those that were asked for.
    tail -n +2 cacerts.head | sed '/^\r$/d; s/:.*//' >names.txt
    lacks names.txt '^[a-z]|-[a-z]'
}

short_head() {
    status_is cacerts 200
    (($(wc -c <cacerts.head) < 1024))
}

one_line() {
    status_is cacerts 200
    equal "$(header cacerts Content-Length)" "$(wc -c <cacerts.body)"
    equal "$(tr -d 'A-Za-z0-9+/=' <cacerts.body | wc -c)" 0
}

challenge() {
    request challenge.request POST simpleenroll 'Content-Type: application/pkcs10' 'Content-Length: 4' 'Connection: close'
    printf 'AAAA' >>challenge.request
    exchange challenge challenge.request
    status_is challenge 401
    has challenge.head '^WWW-Authenticate: Basic '
}

for_libest() {
    request libest.request GET cacerts 'User-Agent: libest 3.2.0p' 'Connection: close'
    exchange libest libest.request
    status_is libest 200
    equal "$(header libest Content-Length)" "$(wc -c <libest.body)"
    (($(tr -d '\r' <libest.body | wc -l) > 1))
    equal "$(tr -d '\r' <libest.body | awk 'length > 76' | wc -l)" 0
    equal "$(tr -d '\r\n' <libest.body)" "$(cat cacerts.body)"
}

twice() {
    request twice.request GET cacerts
    request twice.second GET cacerts 'Connection: close'
    cat twice.second >>twice.request
    exchange twice twice.request
    # The first body ends without a line break, so the second head follows on the same line.
    equal "$(grep -ao 'HTTP/1.1 200' twice.raw | wc -l)" 2
}

# smuggle NAME HEADER...: what stands behind the body, by one of its two lengths, must not be answered as a request.
# With good credentials, or the refusal would be for their lack.
smuggle() {
    local name=$1
    shift
    request "$name.request" POST simpleenroll "$(basic "$(<wire.id)" "$(<wire.token)")" \
        'Content-Type: application/pkcs10' "$@"
    printf '0\r\n\r\n' >>"$name.request"
    request hidden.request GET cacerts 'Connection: close'
    cat hidden.request >>"$name.request"
    exchange "$name" "$name.request"
    has "$name.status" '^400$'
    lacks "$name.raw" 'HTTP/1.1 200'
}

two_lengths() {
    device BR100005 >wire.id
    token "$(<wire.id)" >wire.token
    smuggle both 'Content-Length: 5' 'Transfer-Encoding: chunked'
    smuggle both-again 'Transfer-Encoding: chunked' 'Content-Length: 5'
    smuggle twice-length 'Content-Length: 5' 'Content-Length: 6'
    smuggle signed 'Content-Length: +5'
}

plain() {
    http plain "http://$EST_ADDRESS/.well-known/est/cacerts"
    has plain.status '^(000|4..)$'
    lacks plain.head '^[Ll]ocation:'
    lacks plain.body 'MII'
}

claim 7 head_of_answer
claim 8 short_head
claim 9 one_line
claim 10 challenge
claim 11 for_libest
claim 12 twice
claim 13 two_lengths
claim 14 plain
