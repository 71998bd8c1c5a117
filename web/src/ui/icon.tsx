/** SVG paths on a grid of 24 by 24. */
const PATHS = {
  back: 'M15 5l-7 7 7 7',
  close: 'M6 6l12 12M18 6L6 18',
  down: 'M12 5v14M6 13l6 6 6-6',
  logout: 'M10 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h4M16 8l4 4-4 4M20 12H10',
  more: 'M12 5.5v.01M12 12v.01M12 18.5v.01',
  new: 'M12 5v14M5 12h14',
  send: 'M5 12h13M12 5l7 7-7 7',
  blocked: 'M5.6 5.6l12.8 12.8M20 12a8 8 0 1 1-16 0 8 8 0 0 1 16 0z',
  waiting: 'M12 7v5l3 2M20 12a8 8 0 1 1-16 0 8 8 0 0 1 16 0z',
  failed: 'M12 7.5v5.5M12 16.4v.01M20 12a8 8 0 1 1-16 0 8 8 0 0 1 16 0z',
  sent: 'M5 12.5l4.5 4.5L19 7',
  delivered: 'M2 12.5l4.5 4.5L16 7M12 16.6l.5.4L22 7',
  draft: 'M5 19l1-4L16 5l3 3L9 18z',
} as const

export type IconName = keyof typeof PATHS

/** An icon beside a text or in a labelled button. Hidden from screen readers. */
export const Icon = ({ name }: { name: IconName }) => (
  <svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true">
    <path d={PATHS[name]} />
  </svg>
)

export const Logo = () => <img class="logo" src="icons/icon.svg" alt="" width="32" height="32" />

/** The first letter of a name. */
export const Avatar = ({ name }: { name: string }) => (
  <span class="avatar" aria-hidden="true">
    {[...name.trim()][0]?.toUpperCase()}
  </span>
)
