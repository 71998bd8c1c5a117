import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf, piecesOf } from '../web/src/ui/links.ts'

const linksOf = (text: string) =>
  piecesOf(text).flatMap((piece) => (typeof piece === 'string' ? [] : piece.url))

test('only addresses of http and https become links', () => {
  assert.deepEqual(linksOf('See http://a.example and HTTPS://b.example/x.'), [
    'http://a.example',
    'HTTPS://b.example/x',
  ])
  for (const text of [
    'javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'ftp://a.example mailto:ada@a.example //a.example www.a.example',
    'https:// http://[ nohttp://x',
  ])
    assert.deepEqual(linksOf(text), [], text)
})

test('a link ends before the punctuation and the brackets around it', () => {
  for (const [text, url] of [
    ['(https://a.example/b)', 'https://a.example/b'],
    ['https://a.example/b_(c)', 'https://a.example/b_(c)'],
    ['(see https://a.example/b_(c)).', 'https://a.example/b_(c)'],
    ['[https://a.example/?q=[1]]', 'https://a.example/?q=[1]'],
    ['"https://a.example/b"', 'https://a.example/b'],
    ['<https://a.example/b>', 'https://a.example/b'],
    ['Really, https://a.example/b?!…', 'https://a.example/b'],
  ] as const)
    assert.deepEqual(linksOf(text), [url], text)
})

test('a character that changes the direction of text cannot hide in a link', () => {
  assert.deepEqual(linksOf('https://a.example/\u202egpj.exe'), ['https://a.example/'])
})

test('the pieces of a text are the whole text', () => {
  for (const text of [
    '',
    'https://a.example',
    'one https://a.example, two (https://b.example) three',
    `https://a.example/${'('.repeat(8_000)}${')'.repeat(8_000)}`,
    `https://a.example/${')'.repeat(16_000)}`,
    'http://'.repeat(2_000),
  ]) {
    const whole = piecesOf(text).map((piece) => (typeof piece === 'string' ? piece : piece.url))
    assert.equal(whole.join(''), text)
  }
})

test('the lines of a text are counted by their breaks and by their length', () => {
  assert.equal(linesOf('', 60), 1)
  assert.equal(linesOf('a\n\nb', 60), 3)
  assert.equal(linesOf('x'.repeat(61), 60), 2)
})
