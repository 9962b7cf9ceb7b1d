# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# dial NAME S_CLIENT-ARGUMENTS...: a connection that waits for one request. Leaves NAME.exporter and, under TLS 1.2,
# NAME.unique as challengePasswords.
declare -A line pid
dial() {
    local name=$1 end
    shift
    rm -f "$name.in" "$name.out" "$name.msg"
    mkfifo "$name.in"
    # Interactive commands would take a line of base64 that begins with Q for the end.
    timeout 60 openssl s_client -connect "$EST_ADDRESS" -CAfile "$CHAIN" -verify_return_error -nocommands -ign_eof \
        -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32 -msg -msgfile "$name.msg" "$@" \
        <"$name.in" >"$name.out" 2>"$name.err" &
    pid[$name]=$!
    exec {end}>"$name.in"
    line[$name]=$end
    until grep -qs '^ *Keying material: ' "$name.out"; do
        kill -0 $! 2>/dev/null || { echo "the handshake failed:"; cat "$name.err"; return 1; }
        sleep 0.05
    done
    sed -n 's/^ *Keying material: //p' "$name.out" | unhex | base64 -w 0 >"$name.exporter"
    # The first Finished, whoever sent it: 14 00 00 0c and twelve octets.
    sed -n '/TLS 1\.2.* Finished/{n; s/^ *14 00 00 0c //p; q}' "$name.msg" | unhex | base64 -w 0 >"$name.unique"
}

unhex() {
    tr -d ' \n' | sed 's/../\\x&/g' | xargs -0 printf '%b'
}

resumed() {
    has "$1.out" '^Reused, '
}

# bound KEY OUT.DER CHALLENGE SERIAL|CERTIFICATE.pem: a request with this challengePassword, for the device with this
# serial number or with the names of the certificate that it renews. The names stand in the file, because -subj makes
# openssl forget all attributes.
bound() {
    local key=$1 out=$2 challenge=$3 names=() subject="serialNumber=$4"
    if [[ $4 == *.pem ]]; then
        subject=$(openssl x509 -in "$4" -noout -subject -nameopt esc_msb,utf8,sep_multiline,sname | sed -n 's/^ \{4\}//p')
        names=(-addext "subjectAltName=DER:$(alt_names_der "$4")")
    fi
    printf '[req]\ndistinguished_name=dn\nattributes=at\nprompt=no\n[at]\nchallengePassword=%s\n[dn]\n%s\n' \
        "$challenge" "$subject" >"$out.conf"
    openssl req -new -key "$key" -outform DER -out "$out" -config "$out.conf" "${names[@]}"
    openssl req -inform DER -in "$out" -noout -text | has /dev/stdin 'challengePassword'
}

# ask NAME OPERATION CSR.DER [HEADER...]: sends a request on the connection that was dialled, which ends with it.
# Leaves NAME.status, NAME.head and NAME.body.
ask() {
    local name=$1 operation=$2 body end=${line[$1]} at
    body=$(base64 -w 0 "$3")
    shift 3
    {
        printf 'POST /.well-known/est/%s HTTP/1.1\r\nHost: localhost\r\n' "$operation"
        printf '%s\r\n' "$@" 'Content-Type: application/pkcs10' "Content-Length: ${#body}" 'Connection: close' ''
        printf '%s' "$body"
    } >&"$end"
    # The server closes the connection when all is said, and so does s_client.
    wait "${pid[$name]}" || true
    exec {end}>&-
    at=$(grep -abo 'HTTP/1.1 [0-9]' "$name.out" | head -n 1 | cut -d : -f 1)
    tail -c +"$((at + 1))" "$name.out" >"$name.raw"
    sed '/^\r$/q' "$name.raw" >"$name.head"
    tail -c "+$(($(wc -c <"$name.head") + 1))" "$name.raw" | head -c "$(header "$name" Content-Length)" >"$name.body"
    head -n 1 "$name.head" | cut -d ' ' -f 2 >"$name.status"
}

# with_token DEVICE: the header that shows a fresh token.
with_token() {
    printf 'Authorization: Basic %s' "$(printf '%s:%s' "$1" "$(token "$1")" | base64 -w 0)"
}
