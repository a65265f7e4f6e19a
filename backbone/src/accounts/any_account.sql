-- Tells whether there is any account.
SELECT EXISTS (SELECT 1 FROM account);
