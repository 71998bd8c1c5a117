#!/bin/sh
# Prints the messages to ME, one per line, until its session ends: an example of a client that only receives, in POSIX
# sh (also dash, bash and zsh). It needs only curl and jq (1.6 or newer).
#
#   examples/receive.sh [--takeover] ME
#
# If the server is killed, restarted or unreachable, it tries again, and no message is lost: the next request
# acknowledges what was printed. Remarks go to stderr. Ctrl-C logs out.
#
#   RESTANTE_URL        the server; http://127.0.0.1:3000 when not set
#   RESTANTE_PASSWORD   the password of ME; asked for when not set
#   --takeover          end the session that is in use elsewhere
set -u
umask 077

say() { printf '* %s\n' "$*" >&2; }

give_up() {
  say "$@"
  exit 1
}

# Acknowledges the last printed messages and logs out, unless the session has ended.
finish() {
  trap '' INT TERM HUP
  [ -z "$typing" ] || stty echo
  if [ -s "$desk/token" ]; then
    curl -s -m 5 -o /dev/null -H "$AUTH" -H 'Content-Type: application/json' \
      -d "{\"cursor\": $cursor}" "$API/inbox/ack"
    curl -s -m 5 -o /dev/null -X POST -H "$AUTH" "$API/logout"
  fi
  rm -rf "$desk"
}

takeover=false
if [ "${1-}" = --takeover ]; then
  takeover=true
  shift
fi
[ $# -eq 1 ] || give_up "Usage: $0 [--takeover] ME"
me=$1 typing=''
API=${RESTANTE_URL:-http://127.0.0.1:3000}
API=${API%/}/v1
for tool in curl jq; do
  [ -n "$(command -v "$tool")" ] || give_up "This needs $tool."
done

# The token is kept in this folder and is never an argument, which `ps` shows to every user.
desk=$(mktemp -d "${TMPDIR:-/tmp}/restante-receive.XXXXXX") || exit 1
AUTH=@$desk/token
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

password=${RESTANTE_PASSWORD-}
if [ -z "$password" ]; then
  [ -t 0 ] || give_up 'Set RESTANTE_PASSWORD, or start this in a terminal.'
  printf 'Password of %s: ' "$me" >&2
  typing=yes
  stty -echo
  IFS= read -r password
  stty echo
  typing=''
  echo >&2
fi

# docs/clients.md has what follows.
SHOW='def plain: explode | map(if . < 32 or . > 126 and . < 160 then 32 else . end) | implode;
(.gap // empty | "* \(.from) to \(.to) are missing: \(.reason)"),
((.messages // .offlineMessages)[] | if .receiptFor
  then "* \(.from) has received \(.receiptFor | length) of your messages"
  else "\(.from): \(.body | plain)" end)'
# Until here.

answer=$(printf '%s' "$password" |
  jq -Rs --arg username "$me" --argjson takeover "$takeover" \
    '{username: $username, password: ., takeover: $takeover}' |
  curl -sS -m 35 -w '%{http_code}' -H 'Content-Type: application/json' --data-binary @- "$API/login") ||
  give_up "No answer from $API."
case $answer in
*200) ;;
*409) give_up "$me is online elsewhere. --takeover ends that session." ;;
*) give_up "$(printf '%s' "${answer%???}" | jq -r .detail)" ;;
esac

# Print the messages before storing the token: its first use acknowledges them.
printf '%s' "${answer%200}" | jq -r "$SHOW" || exit 1
cursor=$(printf '%s' "${answer%200}" | jq .cursor)
printf '%s' "${answer%200}" | jq -r '"Authorization: Bearer \(.token)"' >"$desk/token"
say "You are $me. Ctrl-C ends this."

# docs/clients.md has what follows.
pause=1
while true; do
  answer=$(curl -s -m 35 -w '%{http_code}' -H "$AUTH" "$API/inbox?after=$cursor") || answer=000
  case $answer in
  *200)
    printf '%s' "${answer%200}" | jq -r "$SHOW" || break
    cursor=$(printf '%s' "${answer%200}" | jq .cursor)
    pause=1
    ;;
  *000 | *408 | *429 | *5??)
    sleep "$pause"
    pause=$((pause < 16 ? pause * 2 : 30))
    ;;
  *409)
    echo 'The server was restored without its knowledge, or is another one.' >&2
    cursor=$(printf '%s' "${answer%409}" | jq .cursor)
    ;;
  *)
    printf '%s' "${answer%???}" | jq -r .detail >&2
    break
    ;;
  esac
done
# Until here.

case $answer in
*401) : >"$desk/token" ;;
esac
exit 1
