/** Shows the contract of this server with Swagger UI. */
const root = new URL('../', document.baseURI)

/** Swagger UI is light until the page has this class. */
function followColourScheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const update = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
  dark.addEventListener('change', update)
  update()
}

/** The page has its own title, and operations come first, so the introduction is folded. */
const foldDescription = () => ({
  wrapComponents: {
    InfoContainer:
      (Info, { React: { createElement } }) =>
      (props) =>
        createElement(
          'details',
          { className: 'about' },
          createElement('summary', null, 'About this API'),
          createElement(Info, props),
        ),
  },
})

/**
 * The examples of parameters are for readers: sent as they are, a cursor is ahead, a key was used, and nobody
 * has that id. Only a name in the path goes with the examples of requests.
 */
function withoutPrefilledParameters(document) {
  for (const parameter of Object.values(document.components.parameters))
    if (parameter.name !== 'username') {
      delete parameter.example
      delete parameter.examples
      // Here, a poll of 25 s would seem to hang.
      if (parameter.name === 'wait') parameter.example = 0
    }
  return document
}

async function show() {
  const document = withoutPrefilledParameters(await (await fetch('json')).json())
  // A proxy may serve this server below a prefix.
  document.servers = [{ url: root.href.replace(/[/]$/, '') }]
  const ui = SwaggerUIBundle({
    dom_id: '#reference',
    spec: document,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    plugins: [foldDescription],
    // A login authorizes the following requests.
    responseInterceptor: (response) => {
      if (response.ok && response.url === new URL('v1/login', root).href)
        ui.preauthorizeApiKey('bearer', response.body.token)
      return response
    },
  })
}

followColourScheme()
void show()
