# shellcheck shell=bash
# A device that was cut off has a friend with a good certificate, who tells the broker to let it in again.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"

broker
guard
in_step
name=$(openssl x509 -in pump.pem -noout -subject -nameopt multiline | sed -n 's/ *commonName *= //p')

# The very command by which the guard lets devices in.
let_in() {
    # shellcheck disable=SC2046
    mosquitto_pub $(tls witness) -q 1 -t "\$CONTROL/dynamic-security/v1" \
        -m "{\"commands\":[{\"command\":\"createClient\",\"username\":\"$name\",\"roles\":[{\"rolename\":\"device\"}]}]}"
    # shellcheck disable=SC2046
    text back timeout 5 mosquitto_sub $(tls pump) -i pump -t 'ward/#' -W 3 -d
    has back 'Subscribed .*: 0$'
}

denied() {
    has broker.log 'Denied PUBLISH from .*CONTROL'
    turned_away back
    lacks dynsec.json "$name"
}

must_fail 9 denied let_in
