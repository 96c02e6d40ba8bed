/**
 * `/docs`: the API to read and to try, by Swagger UI out of its npm package. Nothing is loaded from
 * elsewhere, and the policy of the page allows nothing else.
 *
 * @module
 */
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { Router } from 'express'
import { DOCS_POLICY } from './headers.ts'

/** Files of the package that the page loads; the rest of it is source maps and other builds. */
const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js'] as const

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>eLocker: API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

/** A session's changes need the header; a bearer token does not mind it. */
const START = `'use strict'
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  validatorUrl: null,
  deepLinking: true,
  requestInterceptor: (request) => {
    request.headers['x-elocker'] = '1'
    return request
  }
})
`

/** The routes under `/docs`. */
export function docsPage(): Router {
  const folder = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/swagger-ui.css')))
  const router = Router()
  router.get('/', (_request, response) => {
    response.setHeader('content-security-policy', DOCS_POLICY)
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(HTML)
  })
  router.get('/start.js', (_request, response) => {
    response.setHeader('content-type', 'text/javascript; charset=utf-8')
    response.end(START)
  })
  const files = express.static(folder, { index: false, redirect: false })
  for (const file of FILES) router.get(`/${file}`, files)
  return router
}
