import { effect } from '@preact/signals'
import { render } from 'preact'
import { createApp } from './chat/app.ts'
import { watchNotifications } from './ui/notification-clicks.ts'
import { watchForUpdates } from './ui/update.ts'
import { Page } from './views/page.tsx'

const app = createApp()

effect(() => {
  const unread = app.chat.value?.unread.value ?? 0
  document.title = unread > 0 ? `(${unread}) Restante` : 'Restante'
})

watchNotifications(app)
const root = document.getElementById('app')
if (root) render(<Page app={app} />, root)
void watchForUpdates()
