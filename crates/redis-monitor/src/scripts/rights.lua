#!lua flags=no-writes
-- rights: which commands the user of this connection may run; none of them is run.
-- ARGV[1]  JSON: 1 to 100 commands, each a list of its 1 to 10 words
-- returns  for each command: 1 may be run | 0 the ACL refuses it | -1 the server does not know it
-- replay   a second run answers the rights of then
local answers = {}
local commands = cjson.decode(ARGV[1])
for i = 1, #commands do
  local words = commands[i]
  local known, may = pcall(redis.acl_check_cmd, unpack(words, 1, #words))
  answers[i] = (not known and -1) or (may and 1) or 0
end
return answers
