/** Shows the contract of this server with Swagger UI. */
const root = new URL('../', document.baseURI)

/** Swagger UI is light until the page has this class. */
function followColourScheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const update = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
  dark.addEventListener('change', update)
  update()
}

/** The title is in the page, and the operations come first: what is said about all of them is folded away. */
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
      // A poll that waits for its 25 s seems to hang here.
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
    // A login here authorizes the requests that follow.
    responseInterceptor: (response) => {
      if (response.ok && response.url === new URL('v1/login', root).href)
        ui.preauthorizeApiKey('bearer', response.body.token)
      return response
    },
  })
}

followColourScheme()
void show()
