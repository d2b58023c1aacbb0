"""What anyone may rely on in a queue, held against every engine; `rows` says where the list comes from."""
