/** Loaded into the built server by NODE_OPTIONS=--import: makes the wall clock wrong. */
const wrongByMs = Number(process.env.CLOCK_WRONG_BY_MS)
const RightDate = Date

globalThis.Date = class extends RightDate {
  constructor(...args) {
    if (args.length === 0) super(RightDate.now() + wrongByMs)
    else super(...args)
  }

  static now() {
    return RightDate.now() + wrongByMs
  }
}
