/** Steps of the wall clock that are longer than those of test/clocks.test.ts. */
import { itStandsSteps } from '../clocks/steps.ts'

const DAY_MS = 86_400_000
const DECADE_MS = 3_650 * DAY_MS

itStandsSteps({
  'a day ahead': DAY_MS,
  'a day back, to the former time': -DAY_MS,
  'ten years back': -DECADE_MS,
  'ten years ahead, to the former time': DECADE_MS,
  'ten years ahead': DECADE_MS,
  'ten years back, to the former time': -DECADE_MS,
})
