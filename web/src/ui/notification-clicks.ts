import { effect, signal } from '@preact/signals'
import { closeNotifications } from '../chat/browser-push.ts'
import type { App, Chat } from '../chat/types.ts'
import { conversationHash, go, type Route, replaceRoute, route } from './route.ts'

/** How long to wait for a message after a click on its notification. */
const WAIT_MS = 10_000

/** The message of the clicked notification, and the view at that time. */
const clicked = signal<{ newest: number; from: Route }>()

/** Opens the conversation of a clicked notification, and closes notifications when all is read. */
export function watchNotifications(app: App): void {
  const [, newest] = /^#newest=(\d+)$/.exec(location.hash) ?? []
  if (newest !== undefined) {
    replaceRoute('#/')
    show(Number(newest))
  }
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (data.type === 'clicked') show(data.newest)
    else if (data.type === 'notified') closeIfRead(app)
    else if (data.type === 'subscription changed') void app.chat.peek()?.notifications.subscriptionChanged()
  })
  document.addEventListener('visibilitychange', () => closeIfRead(app))
  effect(() => {
    if (app.chat.value?.unread.value === 0) closeIfRead(app)
  })
  effect(() => {
    const chat = app.chat.value
    if (!clicked.value || !chat) return
    const timer = setTimeout(() => open(chat), WAIT_MS)
    return () => clearTimeout(timer)
  })
  effect(() => {
    const chat = app.chat.value
    if (!clicked.value || !chat) return
    // The user has navigated meanwhile.
    if (clicked.value.from !== route.value) clicked.value = undefined
    else if (chat.unread.value > 0 && chat.received >= clicked.value.newest) open(chat)
  })
}

function show(newest: number) {
  clicked.value = { newest, from: route.peek() }
}

function open(chat: Chat) {
  clicked.value = undefined
  const unread = chat.conversations.peek().find((conversation) => conversation.unread > 0)
  if (unread) go(conversationHash(unread.username))
}

function closeIfRead(app: App) {
  const isRead = app.chat.peek()?.unread.peek() === 0
  if (isRead && document.visibilityState === 'visible') void closeNotifications()
}
