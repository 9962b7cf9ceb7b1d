# shellcheck shell=bash
# A broker with clients, and one whose certificate is revoked.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"

enrol BR900001 pump
enrol BR900002 neighbour
enrol BR900003 witness
furnish
broker
guard

connected() {
    in_step
    connect pump
    connect neighbour
    hears pump 'good morning'
    hears neighbour 'good morning to you too'
}

dropped() {
    local began answered told
    began=$(date +%s%N)
    vitae revoke "$(serial_of pump.pem)" --reason key-compromise >revoke.txt
    answered=$(date +%s%N)
    # 152 is MQTT's administrative action (MQTT 5.0 section 3.14.2.1).
    until_has pump.log 'Received DISCONNECT \(152\)'
    told=$(when pump.log 'Received DISCONNECT')
    printf 'disconnected %d ms after "vitae revoke" was begun; the command, CRL and all, took %d ms\n' \
        $(((told - began) / 1000000)) $(((answered - began) / 1000000)) >note-2
}

stays() {
    hears neighbour 'still here'
    lacks neighbour.log DISCONNECT
    equal "$(grep -c 'received CONNACK' neighbour.log)" 1
}

kept_out() {
    in_step
    until_has pump.log 'alert certificate revoked'
    # Under another client id too: it is the certificate that counts.
    cp pump.pem thief.pem
    cp pump.key thief.key
    # shellcheck disable=SC2046
    text again timeout 5 mosquitto_sub $(tls thief) -i thief -t 'ward/#' -C 1 -d
    turned_away again
    hears neighbour 'not for everybody'
    lacks pump.log 'not for everybody'
}

claim 1 connected
claim 2 dropped
claim 3 stays
claim 4 kept_out
