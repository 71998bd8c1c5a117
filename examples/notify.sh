#!/bin/sh
# Sends a text to a user, from a device, a cron job or a script. It needs a POSIX shell and curl.
#
#   examples/notify.sh NAME TEXT     sends TEXT to NAME
#   examples/notify.sh NAME          sends standard input, unchanged
#
#   RESTANTE_TOKEN        an application token of the sending account (POST /v1/me/tokens); or
#   RESTANTE_TOKEN_FILE   a file with the token in its first line
#   RESTANTE_URL          the server; http://127.0.0.1:3000 when not set
#   RESTANTE_PATIENCE     how many seconds to repeat a request without an answer; 300 when not set
#
# Exits with 0 if the server has accepted the message, otherwise with another code. The message is sent once, however
# often the request is repeated: all repeats have the same Idempotency-Key.
set -eu
umask 077

ANSWER_SECONDS_MAX=30
PAUSE_SECONDS_MAX=60

give_up() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

[ $# -eq 1 ] || [ $# -eq 2 ] || give_up 'Usage: notify.sh NAME [TEXT]'
case $1 in
  '' | *[!A-Za-z0-9._-]*) give_up "Nobody can have the name $1." ;;
esac
url=${RESTANTE_URL:-http://127.0.0.1:3000}
url=${url%/}/v1/users/$1/messages
patience=${RESTANTE_PATIENCE:-300}
[ -n "$(command -v curl)" ] || give_up 'This needs curl.'

token=${RESTANTE_TOKEN-}
if [ -z "$token" ] && [ -n "${RESTANTE_TOKEN_FILE-}" ]; then
  # `read` fails on a last line without a line end, but still sets the token.
  read -r token <"$RESTANTE_TOKEN_FILE" || [ -n "$token" ] || give_up "$RESTANTE_TOKEN_FILE is empty."
fi
case $token in
  '') give_up 'Set RESTANTE_TOKEN or RESTANTE_TOKEN_FILE.' ;;
  *[!A-Za-z0-9_]*) give_up 'The token is not an application token.' ;;
esac

desk=$(mktemp -d "${TMPDIR:-/tmp}/restante-notify.XXXXXX")
trap 'rm -rf "$desk"' EXIT
trap 'exit 1' HUP INT TERM
if [ $# -eq 2 ]; then printf '%s' "$2"; else cat; fi >"$desk/text"
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# Sets `status`, to 000 without an answer. Passes the token through standard input, because `ps` shows arguments to
# every user.
send() {
  : >"$desk/head"
  : >"$desk/answer"
  status=$(
    curl --silent --show-error --max-time "$ANSWER_SECONDS_MAX" --dump-header "$desk/head" --output "$desk/answer" \
      --write-out '%{http_code}' --header 'Content-Type: text/plain; charset=utf-8' \
      --header "Idempotency-Key: $key" --data-binary "@$desk/text" --config - "$url" 2>"$desk/error" <<END
header = "Authorization: Bearer $token"
END
  ) || status=000
}

retry_after() {
  sed -n 's/^[Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]: *0*\([1-9][0-9]\{0,5\}\).*/\1/p' "$desk/head" | tail -n 1
}

# Prints the server's detail, or curl's error without an answer. Removes characters that could control the terminal.
detail() {
  {
    sed -n 's/.*"detail":"\([^"]*\)".*/\1/p' "$desk/answer"
    head -n 1 "$desk/error"
  } | tr -d '\000-\037\177'
}

pause=1
waited=0
while send; do
  case $status in
    201) exit 0 ;;
    000 | 408 | 429 | 5??) ;;
    *) give_up "Not sent: $status $(detail)" ;;
  esac
  seconds=$(retry_after)
  [ "${seconds:-0}" -gt "$pause" ] || seconds=$pause
  waited=$((waited + seconds))
  [ "$waited" -le "$patience" ] || give_up "Not sent: $status $(detail)"
  sleep "$seconds"
  pause=$((pause * 2))
  [ "$pause" -le "$PAUSE_SECONDS_MAX" ] || pause=$PAUSE_SECONDS_MAX
done
