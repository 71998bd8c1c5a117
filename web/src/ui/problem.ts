import { RestanteProblem } from 'restante-client'

/** Sentences for users, by problem code. */
const WORDS: Record<string, string> = {
  invalid_request: 'Please correct the marked fields.',
  invalid_credentials: 'The username or the password is wrong.',
  account_disabled: 'This account is disabled. Ask the people who run this server.',
  username_taken: 'This username is taken. Choose another, or log in if it is yours.',
  registration_closed: 'This server does not accept new accounts.',
  invalid_invite: 'An account here needs a valid invite code. Ask the people who run this server.',
  wrong_password: 'The password is wrong.',
  user_not_found: 'There is no user with this name.',
  recipient_not_found: 'This account does not exist any more.',
  blocked: 'This user does not take your messages.',
  inbox_full: 'Their inbox is full. Try again later.',
  too_many_unread: 'Too many of your messages are still unread there. Try again later.',
  body_too_large: 'The message is too long for this server.',
  too_many_tokens: 'You have too many tokens. Revoke one that you no longer need.',
  too_many_blocks: 'You have blocked too many users. Unblock one first.',
  session_ended:
    'Your session has ended, perhaps because you logged in elsewhere, or the password was changed.',
  invalid_token: 'Your session has expired. Log in again.',
  too_many_subscriptions: 'Too many of your devices show notifications. Turn them off on one of them first.',
  push_disabled: 'This server sends no notifications any more.',
  push_dismissed: 'Your browser has not allowed it. Try again, and choose Allow.',
  push_unavailable: 'The push service of your browser does not answer. Try again later.',
  overloaded: 'The server is busy. Try again in a moment.',
  no_answer: 'The server does not answer. Check your connection, then try again.',
}

/** The server's detail of an ended session without a special reason. */
const PLAIN_END = 'This session has ended. Log in again.'

export function problemText(error: unknown): string {
  if (!(error instanceof RestanteProblem)) return 'Something went wrong. Reload the page, then try again.'
  // The detail has a special reason, such as a disabled account.
  if (error.code === 'session_ended' && error.detail !== PLAIN_END) return error.detail
  if (error.status === 429) return `Too many attempts. Try again ${inWords(error.retryAfterMs)}.`
  return WORDS[error.code] ?? error.detail
}

/** Like `problemText`, for a problem that is stored with a message. */
export const problemOf = ({ code, detail }: { code: string; detail: string }) => WORDS[code] ?? detail

export const hasCode = (error: unknown, code: string) =>
  error instanceof RestanteProblem && error.code === code

function inWords(delayMs = 0) {
  const seconds = Math.ceil(delayMs / 1_000)
  if (seconds <= 1) return 'in a moment'
  return seconds < 100 ? `in ${seconds} seconds` : `in ${Math.ceil(seconds / 60)} minutes`
}

/** The error of one member of the input. */
export function fieldProblem(error: unknown, member: string): string | undefined {
  if (!(error instanceof RestanteProblem)) return undefined
  const detail = error.errors.find(({ pointer }) => pointer === `/${member}`)?.detail
  return detail && `${detail[0]?.toUpperCase()}${detail.slice(1)}.`
}
