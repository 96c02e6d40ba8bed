/**
 * @module
 */
import type File from '@lucide/svelte/icons/file'

/** A Lucide icon, handed to a component that draws it. */
export type Icon = typeof File
