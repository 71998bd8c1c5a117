import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { atTheEnd, type Ending } from './endings.ts'

/** Debian's Python, for which python3-dbus and python3-gi are built. */
const PYTHON = '/usr/bin/python3'
const PARTS = ['/usr/bin/dbus-run-session', PYTHON, '/usr/lib/python3/dist-packages/dbus/__init__.py']

/** Why tests that click on notifications are skipped, for the option `skip`; false if they run. */
export const NO_DESKTOP = PARTS.every((path) => existsSync(path))
  ? false
  : 'dbus-run-session, python3-dbus or python3-gi is not installed.'

/** A desktop's notification service without a screen. */
const SERVICE = `
import json, os, sys, dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME = 'org.freedesktop.Notifications'

def tell(**what):
    print(json.dumps(what), flush=True)

class Notifications(dbus.service.Object):
    count = 0

    @dbus.service.method(NAME, in_signature='susssasa{sv}i', out_signature='u')
    def Notify(self, app, replaces, icon, summary, body, actions, hints, timeout):
        self.count += 1
        tell(id=replaces or self.count, summary=summary, body=body)
        return replaces or self.count

    @dbus.service.method(NAME, in_signature='u')
    def CloseNotification(self, id):
        self.NotificationClosed(id, 3)

    @dbus.service.method(NAME, out_signature='as')
    def GetCapabilities(self):
        return ['actions', 'body']

    @dbus.service.method(NAME, out_signature='ssss')
    def GetServerInformation(self):
        return ('test', 'test', '1', '1.2')

    @dbus.service.signal(NAME, signature='us')
    def ActionInvoked(self, id, action):
        pass

    @dbus.service.signal(NAME, signature='uu')
    def NotificationClosed(self, id, reason):
        pass

DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
name = dbus.service.BusName(NAME, bus)
service = Notifications(bus, '/org/freedesktop/Notifications')
loop = GLib.MainLoop()

def click(source, condition):
    line = sys.stdin.readline()
    if line:
        service.ActionInvoked(int(line), 'default')
    else:
        loop.quit()
    return bool(line)

GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, click)
tell(address=os.environ['DBUS_SESSION_BUS_ADDRESS'])
loop.run()
`

export interface ShownNotification {
  id: number
  summary: string
  body: string
}

/** A desktop on which a browser shows notifications, which tests can click. */
export async function startDesktop(ending: Ending) {
  const service = spawn('dbus-run-session', ['--', PYTHON, '-c', SERVICE], {
    // The bus logs to stderr.
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const exited = once(service, 'exit')
  atTheEnd(ending, async () => {
    service.stdin.end()
    await exited
  })
  const shown: ShownNotification[] = []
  const address = await new Promise<string>((resolve, reject) => {
    service.once('error', reject)
    createInterface(service.stdout).on('line', (line) => {
      const event = JSON.parse(line)
      if (event.address) resolve(event.address)
      else shown.push(event)
    })
  })
  return {
    /** The environment of the browser. */
    env: { DBUS_SESSION_BUS_ADDRESS: address },
    /** All notifications shown, the newest last. */
    shown,
    click: ({ id }: ShownNotification) => service.stdin.write(`${id}\n`),
  }
}
