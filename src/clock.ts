/** What time it is, in ms since 1970: this machine's, or the one that several nodes have in common. */
export type Clock = () => number
