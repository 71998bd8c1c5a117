import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'

/** Reading and writing for the owner. */
const PRIVATE = 0o600
const OTHERS = 0o077
const EXECUTING = 0o100
const ANYBODY = 0o007
const ANYBODY_WRITES = 0o002

const ROOT = 0

/** Has the process make files and folders that its user alone can use, whatever code makes them. */
export function makeFilesPrivate(): void {
  process.umask(OTHERS)
}

/**
 * Makes a socket that only our user can connect to, from its first moment on.
 *
 * @param make has to make it before it returns
 */
export function makePrivateSocket(make: () => void): void {
  const before = process.umask(EXECUTING | OTHERS)
  try {
    make()
  } finally {
    process.umask(before)
  }
}

/** A file that another user may have prepared, where there should be one of ours. */
export class UnsafeFile extends Error {
  override readonly name = 'UnsafeFile'
}

/**
 * Makes a file that its owner alone can read, whatever the umask. Never opens one that is there already, nor
 * follows a link.
 *
 * @param owner where root makes the file, it belongs to the owner of this
 * @returns a descriptor to write it
 * @throws Error with the code EEXIST when there is something of that name
 */
export function makePrivateFile(path: string, owner?: Pick<Stats, 'uid' | 'gid'>): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants
  const made = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE)
  try {
    if (owner && fstatSync(made).uid === ROOT) fchownSync(made, owner.uid, owner.gid)
    return made
  } catch (error) {
    closeSync(made)
    throw error
  }
}

/**
 * Reads a private file. If it is ours and others can read it, its mode is tightened.
 *
 * @param onOpen called when others could read it, with false when it is not ours and they still can
 * @returns undefined when there is none
 * @throws UnsafeFile when it is a link, or of somebody else
 */
export function readPrivateFile(path: string, onOpen: (closed: boolean) => void): string | undefined {
  if (!checkPrivateFile(path)) return undefined
  const { O_RDONLY, O_NOFOLLOW = 0 } = constants
  const opened = openSync(path, O_RDONLY | O_NOFOLLOW)
  try {
    const found = fstatSync(opened)
    refuseForeign(path, found)
    if (isOpen(found)) {
      const ours = found.uid === ownUid()
      if (ours) fchmodSync(opened, PRIVATE)
      onOpen(ours)
    }
    return readFileSync(opened, 'utf8')
  } finally {
    closeSync(opened)
  }
}

/**
 * Reads a file that is the operator's and not ours: of another user, a link or a pipe it may be, too.
 *
 * @returns its content, and whether users other than its owner and us can read it; undefined when there is
 * none
 * @throws UnsafeFile when other users may have put it there
 */
export function readOperatorsFile(path: string): { content: Buffer; isOpen: boolean } | undefined {
  // A link to nothing is there, and is a fault.
  if (!lstatSync(path, { throwIfNoEntry: false })) return undefined
  const opened = openSync(path, constants.O_RDONLY)
  try {
    const found = fstatSync(opened)
    const own = ownUid()
    const folder = statSync(dirname(path))
    if (own !== undefined && (folder.mode & ANYBODY_WRITES) !== 0 && ![own, ROOT].includes(found.uid))
      throw new UnsafeFile(
        `${path} belongs to another user, ${found.uid}, in a folder that all may write to.`,
      )
    // Of another user we may be the group.
    const others = found.uid === own ? OTHERS : ANYBODY
    return { content: readFileSync(opened), isOpen: own !== undefined && (found.mode & others) !== 0 }
  } finally {
    closeSync(opened)
  }
}

/**
 * @returns what there is, undefined when there is nothing
 * @throws UnsafeFile when it is a link, or of somebody else
 */
export function checkPrivateFile(path: string): Stats | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found) refuseForeign(path, found)
  return found
}

/**
 * Checks a socket that clients send passwords to, and that a start replaces.
 *
 * @returns whether there is one
 * @throws UnsafeFile when there is something else, or it is of somebody else
 */
export function checkPrivateSocket(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return false
  if (!found.isSocket()) throw new UnsafeFile(`${path} is there, and is no socket. Remove it.`)
  refuseForeignOwner(path, found)
  return true
}

/** Closes a file of ours to others. */
export function closeToOthers(path: string): void {
  const found = checkPrivateFile(path)
  if (found && isOpen(found) && found.uid === ownUid()) chmodSync(path, PRIVATE)
}

/** Whether others than its owner may read or write a file. */
export function isOpenToOthers(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && isOpen(found)
}

const ADVICE = 'Somebody else may have prepared it. Remove it.'

function refuseForeign(path: string, found: Stats) {
  if (found.isSymbolicLink()) throw new UnsafeFile(`${path} is a symbolic link. ${ADVICE}`)
  if (!found.isFile()) throw new UnsafeFile(`${path} is not a regular file. ${ADVICE}`)
  if (found.nlink > 1) throw new UnsafeFile(`${path} has a second name, a hard link. ${ADVICE}`)
  refuseForeignOwner(path, found)
}

function refuseForeignOwner(path: string, found: Stats) {
  const own = ownUid()
  // The owner of the folder and root can put anything there.
  if (own === undefined || [own, ROOT, statSync(dirname(path)).uid].includes(found.uid)) return
  throw new UnsafeFile(`${path} belongs to another user, ${found.uid}. ${ADVICE}`)
}

/** Windows has no modes. */
const isOpen = ({ mode }: Stats) => ownUid() !== undefined && (mode & OTHERS) !== 0

const ownUid = () => process.getuid?.()
