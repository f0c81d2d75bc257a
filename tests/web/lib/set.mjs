// @ts-check
/** All that a test needs which plays a desktop itself: a browser, and an impostor before a real share. */

import { launch } from './browser.mjs';
import { Impostor } from './impostor.mjs';
import { Share } from './share.mjs';
import { Stage } from './stage.mjs';

/**
 * Starts it; `end` ends it all.
 * @param {import('../../../web/protocol/types.js').Size} size of the stage
 * @param {...string} args of the browser
 */
export async function setUp({ width, height }, ...args) {
  const browser = await launch(args);
  const stage = await Stage.start(width, height);
  const share = await Share.start(stage);
  const impostor = await Impostor.start(share);
  const end = async () => {
    await browser.close();
    impostor.end();
    await share.end();
    await stage.end();
  };
  /** The page through the impostor. @param {string} search @param {string} host */
  const page = (search = '', host = '127.0.0.1') => (
    `http://${host}:${impostor.port}/d/share${search}#${share.token}`);
  return { browser, stage, share, impostor, page, end };
}
