import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const TOP_FUNCTIONS = 30
const TOP_PLACES = 12

interface CallFrame {
  functionName: string
  url: string
  lineNumber: number
}

interface Profile {
  nodes: { id: number; callFrame: CallFrame }[]
  samples: number[]
  timeDeltas: number[]
}

interface ThreadProfile {
  file: string
  busyMicros: number
  idleMicros: number
  frames: Map<CallFrame, number>
}

/** What functions took themselves, and what packages and files did, in each thread of the busiest process. */
export function describeProfiles(folder: string): string {
  const files = readdirSync(folder).filter((file) => file.endsWith('.cpuprofile'))
  const threads = files.map((file) => read(folder, file))
  const busiest = threads.toSorted((a, b) => b.busyMicros - a.busyMicros)[0]
  return threads
    .filter(({ file }) => busiest && processOf(file) === processOf(busiest.file))
    .map(describe)
    .join('\n\n')
}

/** CPU.DATE.TIME.PROCESS.THREAD.NUMBER.cpuprofile */
const processOf = (file: string) => file.split('.')[3]

function read(folder: string, file: string): ThreadProfile {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile
  const frameOf = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const frames = new Map<CallFrame, number>()
  let [busyMicros, idleMicros] = [0, 0]
  for (const [index, id] of samples.entries()) {
    const frame = frameOf.get(id)
    const micros = timeDeltas[index] ?? 0
    if (!frame || frame.functionName === '(idle)') {
      idleMicros += micros
      continue
    }
    busyMicros += micros
    frames.set(frame, (frames.get(frame) ?? 0) + micros)
  }
  return { file, busyMicros, idleMicros, frames }
}

function describe(thread: ThreadProfile): string {
  const { file, busyMicros, idleMicros } = thread
  return [
    `${file}: busy ${(busyMicros / 1e6).toFixed(1)} s, idle ${(idleMicros / 1e6).toFixed(1)} s`,
    ...shares(thread, functionName).slice(0, TOP_FUNCTIONS),
    'by package or folder:',
    ...shares(thread, placeOf).slice(0, TOP_PLACES),
  ].join('\n')
}

function shares({ frames, busyMicros }: ThreadProfile, nameOf: (frame: CallFrame) => string): string[] {
  const took = new Map<string, number>()
  for (const [frame, micros] of frames) took.set(nameOf(frame), (took.get(nameOf(frame)) ?? 0) + micros)
  return [...took]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, micros]) => `${((100 * micros) / busyMicros).toFixed(1).padStart(6)} %  ${name}`)
}

function functionName({ functionName: name, url, lineNumber }: CallFrame): string {
  const [place] = /(node_modules\/.*|dist\/.*|node:.*)$/.exec(url) ?? []
  return place ? `${name || '(anonymous)'}  ${place}:${lineNumber + 1}` : name || '(anonymous)'
}

/** A package, a folder of ours, a module of Node, or what V8 itself does. */
function placeOf({ functionName: name, url }: CallFrame): string {
  const [, place] =
    /(?:node_modules\/((?:@[^/]+\/)?[^/]+)|(dist\/[^/]+|node:[^/]+))/.exec(url)?.filter(Boolean) ?? []
  return place ?? (url === '' ? `native: ${name || '(anonymous)'}` : url)
}
