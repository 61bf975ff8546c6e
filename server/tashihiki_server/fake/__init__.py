"""The services in memory, without a model and without an index, behind `tashihiki.testing`.

What can be told from labels and requests alone is the service's own code: the query language, the
vocabulary, filters, messages and errors. What pictures look like is made up. The room does without
the encoder and the index, so that it runs where only the client and `lark` are installed.
"""
