/**
 * jq for a machine that has none: the real one as WebAssembly, with the kinds of options that
 * examples/chat.sh uses.
 */
import { readFileSync } from 'node:fs'
import { raw } from 'jq-wasm'

const args = process.argv.slice(2)
const flags = []
while (args[0]?.startsWith('-')) {
  const flag = args.shift()
  // It cannot read files: their contents are passed as text.
  if (flag === '--rawfile') flags.push('--arg', args.shift(), readFileSync(args.shift(), 'utf8'))
  else if (flag.startsWith('--')) flags.push(flag, args.shift(), args.shift())
  else flags.push(...Array.from(flag.slice(1), (letter) => `-${letter}`))
}
const [filter, file] = args
const input = flags.includes('-n') ? '' : readFileSync(file ?? 0, 'utf8')
const output = await raw(input, filter, flags)
if (output !== '') console.log(output)
