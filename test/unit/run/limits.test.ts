import { equal } from 'node:assert/strict';

describe('the limit in time of a test', () => {
  before(function () {
    equal(this.timeout(), 60_000, 'of a hook too');
  });

  it('is that of its folder', function () {
    equal(this.timeout(), 60_000);
  });
});
