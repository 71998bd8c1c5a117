#!/usr/bin/env bash
# A chat in the terminal, and an example of a complete client: no message is lost, and none is sent twice. It needs
# bash, curl and jq (1.6 or newer).
#
#   examples/chat.sh [--register] [--takeover] ME FRIEND
#
# Sends each typed line to FRIEND; a line that ends with a backslash continues on the next. Shows messages to ME on
# stdout, and remarks on stderr. Ctrl-D ends the chat. Exits with 0 if all typed lines were sent.
#
#   RESTANTE_URL        the server; http://127.0.0.1:3000 when not set
#   RESTANTE_PASSWORD   the password of ME; asked for when not set
#   --register          register the account ME first, unless it exists
#   --takeover          end the login that is in use elsewhere
set -euo pipefail
umask 077

# curl waits longer than the server, so that an empty answer still arrives.
WAIT_SECONDS=25
ANSWER_SECONDS_MAX=35
PAUSE_SECONDS_MAX=30

# curl's exit codes for a server with another name, without TLS, or with an invalid certificate: a retry is useless.
# After a first answer, a name that is not found may mean that the network is down.
CURL_MISTAKES=' 1 3 35 51 53 54 58 59 60 64 66 77 80 82 83 90 91 '
CURL_NO_NAME=' 5 6 '
NO_NAME_TRIES_MAX=10

# Shows a paragraph per message, with the time in UTC. Removes control characters, which could control the terminal.
SHOW='
  def command: . < 32 and . != 9 and . != 10 or . > 126 and . < 160;
  def plain: explode | map(if command then 65533 else . end) | implode;
  (.gap // empty | if .reason == "restored"
    then "* The server was restored from a backup: messages may be lost."
    else "* The messages \(.from) to \(.to) are no longer kept." end),
  ((.messages // .offlineMessages)[] | "\(.sentAt[:10]) \(.sentAt[11:16])Z " + if .receiptFor
    then "* \(.from) has received \(.receiptFor | length) of your messages."
    else "\(.from): \(.body | plain | split("\n") | join("\n    "))" end)'

say() { printf '* %s\n' "$*" >&2; }

give_up() {
  say "$@"
  exit 1
}

NAMES='Names have 3 to 32 letters from a to z, digits, dots, dashes and underscores, and begin with a letter or a digit.'
PASSWORDS='Passwords have 8 to 256 characters.'

is_name() {
  local LC_ALL=C
  [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$ ]]
}

usage() { give_up "Usage: $0 [--register] [--takeover] ME FRIEND"; }

main() {
  takeover=false register=false
  while [[ ${1-} == --* ]]; do
    case $1 in
      --takeover) takeover=true ;;
      --register) register=true ;;
      *) usage ;;
    esac
    shift
  done
  [[ $# -eq 2 ]] || usage
  me=$1 friend=$2
  for name in "$me" "$friend"; do
    is_name "$name" || give_up "$name is no name. $NAMES"
  done
  url=${RESTANTE_URL:-http://127.0.0.1:3000}
  url=${url%/}
  for tool in curl jq; do
    [[ -n $(command -v "$tool") ]] || give_up "This needs $tool."
  done

  listener=''
  # Secrets are kept in this folder and are never arguments, which `ps` shows to every user.
  desk=$(mktemp -d "${TMPDIR:-/tmp}/restante-chat.XXXXXX")
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap 'exit 1' USR1

  enter
  # In its own process group, so it can be ended together with its curl.
  set -m
  listen &
  listener=$!
  set +m
  talk
}

# --- The session --------------------------------------------------------------------------------------------

# Logs in, after registering if requested, and shows the messages that arrived meanwhile.
enter() {
  local secret credentials
  secret=$(password "Password of $me: ")
  credentials=$(printf '%s' "$secret" | jq -Rs --arg username "$me" --argjson takeover "$takeover" \
    '{username: $username, password: ., takeover: $takeover}')
  if $register; then open_account; fi
  persist POST /v1/login "$credentials"
  # The server does not distinguish a wrong password from an unknown name, so the user decides.
  if [[ $status == 401 && -t 0 ]] && ! $register; then
    say "$(answer .detail)"
    if confirm "Open a new account with the name $me? [y/N] "; then
      [[ $(password 'The password once more: ') == "$secret" ]] || give_up 'The passwords differ.'
      open_account
      persist POST /v1/login "$credentials"
    fi
  fi
  case $status in
    200) ;;
    409) give_up "$me is online elsewhere. --takeover ends that session." ;;
    401) give_up "$(answer .detail) Is $me your name? --register opens an account." ;;
    *) give_up "$(answer .detail)" ;;
  esac

  # Show the messages before storing the token: its first use acknowledges them.
  receive
  printf 'Authorization: Bearer %s\n' "$(answer .token)" >"$desk/token"
  say "You are $me, and write to $friend. Ctrl-D ends the chat."
}

open_account() {
  persist POST /v1/register "$(jq 'del(.takeover)' <<<"$credentials")"
  case $status in
    201) say "Opened the account $me." ;;
    # Another user has the name, or we do and the first response was lost. The login shows which.
    409) ;;
    400) give_up "The account cannot be opened. $NAMES $PASSWORDS" ;;
    *) give_up "$(answer .detail)" ;;
  esac
}

# Prints the password, from the variable or the terminal.
password() {
  local typed=${RESTANTE_PASSWORD-}
  if [[ -z $typed ]]; then
    [[ -t 0 ]] || give_up 'Set RESTANTE_PASSWORD, or start this in a terminal.'
    read -rsp "$1" typed
    echo >&2
  fi
  printf '%s' "$typed"
}

confirm() {
  local answered
  read -rp "$1" answered
  [[ $answered == [yY]* ]]
}

# Acknowledges the last shown messages and logs out. If that fails, they are shown again next time.
finish() {
  trap '' INT TERM HUP USR1
  ANSWER_SECONDS_MAX=5
  if [[ -n $listener ]]; then
    kill -KILL -- "-$listener" 2>/dev/null || true
    wait "$listener" 2>/dev/null || true
  fi
  if [[ -f $desk/token ]]; then
    request POST /v1/inbox/ack "{\"cursor\": $(<"$desk/cursor")}"
    request POST /v1/logout ''
  fi
  rm -rf "$desk"
}

# --- Receiving ----------------------------------------------------------------------------------------------

# Polls for messages after the cursor, forever. That is all of receiving.
listen() {
  local pause
  pen=listener
  # The chat ends with its listener, or a user who only writes would not notice.
  trap 'kill -USR1 $$' EXIT
  while true; do
    persist GET "/v1/inbox?after=$cursor&wait=$WAIT_SECONDS" ''
    case $status in
      200)
        receive
        # A stopping server asks its clients to return at different times.
        pause=$(retry_after)
        [[ -z $pause ]] || sleep "$pause"
        ;;
      409)
        # The server was restored from a backup, or is another one.
        say "The inbox is older than what was shown here. $(answer .detail)"
        keep_cursor
        ;;
      *)
        # Only the user may log in again: two clients that did so automatically would end each other forever.
        give_up "$(answer .detail)"
        ;;
    esac
  done
}

# Process first, then save the cursor: an interruption in between repeats messages, but loses none.
receive() {
  answer "$SHOW"
  keep_cursor
}

keep_cursor() {
  cursor=$(answer .cursor)
  printf '%s' "$cursor" >"$desk/cursor.new"
  mv "$desk/cursor.new" "$desk/cursor"
}

# --- Sending ------------------------------------------------------------------------------------------------

talk() {
  local line message
  all_sent=true
  while next_line; do
    message=$line
    while [[ $message == *\\ ]] && next_line; do message=${message%\\}$'\n'$line; done
    [[ -z $message ]] || send "$message"
  done
  $all_sent
}

# The last line may lack a line end.
next_line() { IFS= read -r line || [[ -n $line ]]; }

# One key per message, not per request: the server accepts each key only once.
send() {
  local key json
  key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  # Not `jq -R`, because jq 1.6 breaks characters in long texts.
  printf '%s' "$1" >"$desk/message"
  json=$(jq -n --arg to "$friend" --rawfile body "$desk/message" '{to: $to, body: $body}')
  persist POST /v1/messages "$json" -H "Idempotency-Key: $key"
  case $status in
    201) [[ $(answer .delivery) == live ]] || say "$friend is away, and gets it later." ;;
    401) give_up "$(answer .detail)" ;;
    *)
      all_sent=false
      say "Not sent. $(answer .detail)"
      ;;
  esac
}

# --- Requests -----------------------------------------------------------------------------------------------

# Repeats a request until the server has decided. After no answer, too many requests or a server error, the same request
# is sent again after the pause that the server asks for, or a growing one. That is harmless: a poll has its cursor, and
# a message has its key.
persist() {
  local pause=1 asked tries=0
  while true; do
    request "$@"
    # The listener must not outlive a killed chat.
    kill -0 $$ 2>/dev/null || exit
    case $status in
      000) give_up_if_in_vain $((tries += 1)) ;;
      408 | 429 | 5*) ;;
      *) break ;;
    esac
    asked=$(retry_after)
    [[ $pause -gt 1 ]] || say "$(trouble) Trying again."
    # Random, so not all clients return in the same second.
    sleep "${asked:-$((pause + RANDOM % 2))}"
    pause=$((pause * 2 < PAUSE_SECONDS_MAX ? pause * 2 : PAUSE_SECONDS_MAX))
  done
  [[ $pause -eq 1 ]] || say 'The server is back.'
  has_answered=true
}

# Called after this many attempts without an answer.
has_answered=false
give_up_if_in_vain() {
  if [[ $CURL_MISTAKES == *" $curl_exit "* ]]; then give_up "$(trouble)"; fi
  if [[ $CURL_NO_NAME == *" $curl_exit "* ]] && { ! $has_answered || (($1 >= NO_NAME_TRIES_MAX)); }; then
    give_up "$(trouble)"
  fi
}

# Sends a request once: METHOD PATH BODY [CURL OPTION…]. Sets `status`, to 000 without an answer. Stores the head and
# the body in files, one pair per process.
pen=talker
request() {
  local method=$1 path=$2 body=$3
  shift 3
  if [[ -n $body ]]; then set -- -H 'Content-Type: application/json' --data-binary @- "$@"; fi
  if [[ -f $desk/token ]]; then set -- -H "@$desk/token" "$@"; fi
  : >"$desk/$pen.head"
  : >"$desk/$pen.body"
  curl_exit=0
  status=$(printf '%s' "$body" | curl -sS -X "$method" -m "$ANSWER_SECONDS_MAX" -D "$desk/$pen.head" \
    -o "$desk/$pen.body" -w '%{http_code}' "$@" "$url$path" 2>"$desk/$pen.error") || curl_exit=$?
  [[ $curl_exit -eq 0 ]] || status=000
}

# Runs a jq program on the answer.
answer() { jq -r "$1" "$desk/$pen.body"; }

# Prints the seconds of `Retry-After`, if any.
retry_after() { grep -i '^retry-after:' "$desk/$pen.head" | tr -cd '0-9' || true; }

trouble() {
  if [[ $status == 000 ]]; then
    echo "No answer from $url. $(head -n 1 "$desk/$pen.error")"
  else
    answer .detail 2>/dev/null || echo "The answer is $status."
  fi
}

main "$@"
