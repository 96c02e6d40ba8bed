/**
 * The page at `/verify` of the public listener: checks a credential that somebody shows.
 *
 * @module
 */
import { mount } from 'svelte'
// oxlint-disable-next-line import/no-unassigned-import -- a style sheet has nothing to give
import '../app.css'
import { loadLanguage } from '../language.ts'
import english from '../languages/en.json?sections=common,verify,verdict'
import VerifyPage from './VerifyPage.svelte'

const target = document.getElementById('page')
if (target === null) throw new Error('the page has no place to be drawn in')

await loadLanguage(english)
mount(VerifyPage, { target })
