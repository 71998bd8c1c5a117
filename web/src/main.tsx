import { effect } from '@preact/signals'
import { render } from 'preact'
import { createApp } from './chat/app.ts'
import { watchNotified } from './ui/notified.ts'
import { watchForUpdates } from './ui/update.ts'
import { Page } from './views/page.tsx'

const app = createApp()

effect(() => {
  const unread = app.chat.value?.unread.value ?? 0
  document.title = unread > 0 ? `(${unread}) Restante` : 'Restante'
})

watchNotified(app)
const root = document.getElementById('app')
if (root) render(<Page app={app} />, root)
void watchForUpdates()
