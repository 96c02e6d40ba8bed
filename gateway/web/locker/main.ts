/**
 * The locker's page.
 *
 * @module
 */
import { mount } from 'svelte'
// oxlint-disable-next-line import/no-unassigned-import -- a style sheet has nothing to give
import '../app.css'
import { loadLanguage } from '../language.ts'
import english from '../languages/en.json'
import App from './App.svelte'

const target = document.getElementById('page')
if (target === null) throw new Error('the page has no place to be drawn in')
await loadLanguage(english)
mount(App, { target })
