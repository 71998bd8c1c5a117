import { piecesOf } from './links.ts'

/** Plain text with http and https links. It is never parsed as markup. */
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

/** A name, isolated so its text direction does not affect the text around it. */
export const Name = ({ children }: { children: string }) => <bdi class="name">{children}</bdi>
