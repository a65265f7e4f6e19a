-- What filters look at stands in the index that gives the order, so that deals which do not match cost no visit.
DROP INDEX deal_by_change;
DROP INDEX deal_by_price;
CREATE INDEX deal_by_change ON deal (seller_id, sequence, status, currency, total_price);
CREATE INDEX deal_by_price ON deal (seller_id, currency, total_price, id, status);
