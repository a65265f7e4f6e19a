-- The fan-out of webhooks is a reader of the feed of its own. Processes of the version before go on beside it: a new
-- column is optional or has a default, and the fan-out passes over deliveries that an older projection has written.

-- The W3C trace of the mutation behind a change; null in rows of before. The time of the event is occurred_at.
ALTER TABLE feed ADD COLUMN trace text;

-- Settings that an endpoint had before its present ones, which are in its row and hold after webhook.from_position.
-- They held for what lies at from_position < sequence <= to_position.
CREATE TABLE webhook_past_settings (
    webhook_id    uuid   NOT NULL,
    from_position bigint NOT NULL,
    to_position   bigint NOT NULL,
    events        jsonb  NOT NULL,
    seller_ids    jsonb,
    PRIMARY KEY (webhook_id, to_position)
);

-- The place of the fan-out: it has the changes up to (sequence, change_index), but of the last one only the endpoints up
-- to webhook_id, unless that is null. It may have begun with what lies up to claimed: new settings begin behind it.
CREATE TABLE webhook_fanout (
    one          boolean PRIMARY KEY DEFAULT TRUE CHECK (one),
    epoch        bigint  NOT NULL,
    sequence     bigint  NOT NULL,
    change_index int     NOT NULL,
    webhook_id   uuid,
    claimed      bigint  NOT NULL
);

-- What the projection has projected so far it has also fanned out.
INSERT INTO webhook_fanout (epoch, sequence, change_index, claimed)
SELECT epoch, position, 65535, position
  FROM projection
 WHERE name = 'buyer';

-- A delivery is known by its endpoint and its change, for which the epoch is needed as well: a log that lost its end
-- gives sequences out again. 0: written by a version that did not keep it.
ALTER TABLE webhook_delivery ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
