/** Checks requests and responses with zod: such a client breaks first when a response is closed. */
export default {
  input: './openapi.yaml',
  output: './generated/hey-api',
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', 'zod', { name: '@hey-api/sdk', validator: true }],
}
