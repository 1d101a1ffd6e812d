INSERT INTO users (name, email) VALUES ('Anna','anna@berg.example');
INSERT INTO users (name, email) VALUES ('Max','max@roth.example');
