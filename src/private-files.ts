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

/** Sets the umask, so only our user can access files and folders that any code creates. */
export function makeFilesPrivate(): void {
  process.umask(OTHERS)
}

/**
 * Creates a socket that only our user can ever connect to.
 *
 * @param make creates it synchronously
 */
export function makePrivateSocket(make: () => void): void {
  const before = process.umask(EXECUTING | OTHERS)
  try {
    make()
  } finally {
    process.umask(before)
  }
}

/** A file of ours that another user may have created. */
export class UnsafeFile extends Error {
  override readonly name = 'UnsafeFile'
}

/**
 * Creates a file that only its owner can read, whatever the umask. Never opens an existing file or follows a
 * link.
 *
 * @param owner if root creates the file, it gets the owner of this one
 * @returns a descriptor for writing
 * @throws Error with the code EEXIST when the name is taken
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
 * Reads a private file. If other users can read it and it is ours, its mode is tightened.
 *
 * @param onReadable called when other users could read it; false when it is not ours, so they still can
 * @returns undefined when the file is missing
 * @throws UnsafeFile when it is a link, or belongs to another user
 */
export function readPrivateFile(path: string, onReadable: (isClosed: boolean) => void): string | undefined {
  if (!checkPrivateFile(path)) return undefined
  const { O_RDONLY, O_NOFOLLOW = 0 } = constants
  const opened = openSync(path, O_RDONLY | O_NOFOLLOW)
  try {
    const found = fstatSync(opened)
    refuseForeign(path, found)
    if (isOpen(found)) {
      const ours = found.uid === ownUid()
      if (ours) fchmodSync(opened, PRIVATE)
      onReadable(ours)
    }
    return readFileSync(opened, 'utf8')
  } finally {
    closeSync(opened)
  }
}

/**
 * Reads a file that the operator provides. It may belong to another user, and be a link or a pipe.
 *
 * @returns its content, and whether users other than its owner and ours can read it; undefined when it is
 * missing
 * @throws UnsafeFile when another user may have put it there
 */
export function readOperatorsFile(path: string): { content: Buffer; isOpen: boolean } | undefined {
  // A dangling link is an error, so it is not treated as missing.
  if (!lstatSync(path, { throwIfNoEntry: false })) return undefined
  const opened = openSync(path, constants.O_RDONLY)
  try {
    const found = fstatSync(opened)
    const own = ownUid()
    const folder = statSync(dirname(path))
    if (own !== undefined && (folder.mode & ANYBODY_WRITES) !== 0 && ![own, ROOT].includes(found.uid))
      throw new UnsafeFile(
        `${path} belongs to another user, ${found.uid}, in a folder that everyone can write to.`,
      )
    // We may be in the group of another user's file.
    const others = found.uid === own ? OTHERS : ANYBODY
    return { content: readFileSync(opened), isOpen: own !== undefined && (found.mode & others) !== 0 }
  } finally {
    closeSync(opened)
  }
}

/**
 * @returns undefined when the file is missing
 * @throws UnsafeFile when it is a link, or belongs to another user
 */
export function checkPrivateFile(path: string): Stats | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found) refuseForeign(path, found)
  return found
}

/**
 * Checks a socket that receives passwords, and that a start replaces.
 *
 * @returns whether it exists
 * @throws UnsafeFile when it is no socket, or belongs to another user
 */
export function checkPrivateSocket(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return false
  if (!found.isSocket()) throw new UnsafeFile(`${path} exists and is no socket. Remove it.`)
  refuseForeignOwner(path, found)
  return true
}

/** Makes a file of ours private. */
export function closeToOthers(path: string): void {
  const found = checkPrivateFile(path)
  if (found && isOpen(found) && found.uid === ownUid()) chmodSync(path, PRIVATE)
}

/** Whether users other than its owner may read or write a file. */
export function isOpenToOthers(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && isOpen(found)
}

const ADVICE = 'Another user may have created it. Remove it.'

function refuseForeign(path: string, found: Stats) {
  if (found.isSymbolicLink()) throw new UnsafeFile(`${path} is a symbolic link. ${ADVICE}`)
  if (!found.isFile()) throw new UnsafeFile(`${path} is not a regular file. ${ADVICE}`)
  if (found.nlink > 1) throw new UnsafeFile(`${path} has a second hard link. ${ADVICE}`)
  refuseForeignOwner(path, found)
}

function refuseForeignOwner(path: string, found: Stats) {
  const own = ownUid()
  // Root and the owner of the folder could replace it anyway.
  if (own === undefined || [own, ROOT, statSync(dirname(path)).uid].includes(found.uid)) return
  throw new UnsafeFile(`${path} belongs to another user, ${found.uid}. ${ADVICE}`)
}

/** Windows has no modes. */
const isOpen = ({ mode }: Stats) => ownUid() !== undefined && (mode & OTHERS) !== 0

const ownUid = () => process.getuid?.()
