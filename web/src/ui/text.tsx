import { piecesOf } from './links.ts'

/** Text as it is, with links for http and https. Nothing in it is ever markup. */
export const Text = ({ children: text }: { children: string }) => (
  <>
    {piecesOf(text).map((piece) =>
      typeof piece === 'string' ? (
        piece
      ) : (
        <a href={piece.url} target="_blank" rel="noreferrer noopener">
          {piece.url}
        </a>
      ),
    )}
  </>
)

/** A person's name: it keeps its direction to itself. */
export const Name = ({ children }: { children: string }) => <bdi class="name">{children}</bdi>
